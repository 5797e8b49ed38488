"""How a Docker engine is reached: a socket, TCP with TLS, SSH. What the docker target and the building of images have in common."""
