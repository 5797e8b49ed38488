"""An endpoint: a container a variant, and a proxy in front that shares the requests out among them."""
