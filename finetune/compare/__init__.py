"""Many backbones on the same data: a plan of jobs, the engines that run them, and one record of what came out."""
