"""What table.py is made of: options, arrays, gradc's interface, the peers, the rows, measuring, reporting."""
