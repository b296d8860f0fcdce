"""Card fraud from raw transactions to scored cards: generator, features, split, demo."""
