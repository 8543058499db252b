"""Scene text: words and characters read from the files of the usual data sets, and the way from them to training samples."""
