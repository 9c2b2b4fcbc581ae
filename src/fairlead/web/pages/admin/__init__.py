"""`/admin`: what the operator sees and does. For the owner of the installation alone."""
