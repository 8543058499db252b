"""The data doctor: everything that can be wrong with a data set, found before training, shown, and mended in a copy."""
