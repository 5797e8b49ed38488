"""Which hardware a target offers, what it costs, and which offer fits: catalogue files of the providers, read and chosen from. Pure."""
