"""The HTTP/1.1 server in front of the data plane. See README.md."""
