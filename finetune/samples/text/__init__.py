"""Synthetic scene text: words of any corpus in any font, set into pictures, with exact quads of words and characters."""
