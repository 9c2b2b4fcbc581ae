"""Apps that ask people for a key: OAuth with PKCE."""
