"""Ways to run the suite: `local` for one machine without containers; images, compose and Kubernetes files beside it."""
