"""Shapes of the products: one function for each kind, which draws its proportions at random.

A function returns the product's name and its parts from back to front. Symmetric products are
centered on x = 0. Paints: "body" has the pattern, "plain" the same color without it, "trim" a
second color, "inside" and "deep" a darker body; all others are materials.
"""
