"""What every paper's command does: refuse, resume, hold out, record, count, exit status.

A command is a plain function that is handed the paper's functions, as `fit` is handed a `Task`.
"""
