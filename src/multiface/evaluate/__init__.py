"""How good a model is: metrics, protocols (frozen and adapted, labelled), and reports of their results."""
