"""Our own HTTP/1.1 client, in pieces. The way in is `fairlead.gateway.upstream_native`."""
