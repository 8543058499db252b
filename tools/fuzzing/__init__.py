"""Parts of tools/fuzz_annotations.py: data sets, damage, the run of one case, worker processes."""
