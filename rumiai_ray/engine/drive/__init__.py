"""The driver's loop (`loop`), what it is given (`parts`), and how it ends before its work is done (`endings`)."""
