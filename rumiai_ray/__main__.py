"""`python -m rumiai_ray` is the command line."""

from rumiai_ray.cli.app import main

if __name__ == "__main__":
    main()
