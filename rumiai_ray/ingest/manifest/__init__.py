"""From a manifest file, in whatever form people have it, to rows of text."""
