"""How a network learns: patches and rows, the objective, the steps, what is validated and saved."""
