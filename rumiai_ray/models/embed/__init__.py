"""The image-embedding family: SigLIP or CLIP through OpenCLIP."""
