"""How a network becomes lip-sync: one file per method behind one contract."""
