"""Signing in and what belongs to it: the endpoints that forms of the web app are sent to."""
