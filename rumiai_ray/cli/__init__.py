"""The command line: one module a verb."""

import gc

# A command imports a thousand modules, and nothing of them is garbage: looking for it every 700 objects took 0.1 of 0.95 s (measured).
gc.set_threshold(50_000, 20, 20)
