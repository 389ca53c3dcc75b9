"""The verbs in Python: a stack in, a stack (or table, or checkpoint) out."""
