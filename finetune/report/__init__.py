"""The report of a comparison: one page that answers, made of saved records alone. No torch, no Lightning."""
