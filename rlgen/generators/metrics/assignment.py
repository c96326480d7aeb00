"""The cheapest way to give every row a column of its own."""

import math

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from rlgen.errors import problem


def assignment(cost: Float[Tensor, "rows columns"]) -> Int64[Tensor, " rows"]:
    """The column of each row that make the least sum of costs; no column twice. Needs rows ≤ columns.

    Kuhn 1955 (the Hungarian method), by shortest augmenting paths, Jonker & Volgenant 1987: rows · columns² steps in
    plain Python, which for tens of classes are milliseconds. SciPy has the same, but nothing else here needs SciPy.
    """
    n_rows, n_columns = cost.shape
    if n_rows > n_columns:
        raise problem("at most as many rows as columns", f"{n_rows} and {n_columns}", "transpose the costs")
    if not bool(cost.isfinite().all()):
        raise problem("finite costs", "NaN or infinity", "use a large number for what must not be")
    costs = cost.double().tolist()
    row_price, column_price = [0.0] * n_rows, [0.0] * n_columns
    row_of: list[int | None] = [None] * n_columns
    for row in range(n_rows):
        column, before = _shortest_path(row, costs, row_price, column_price, row_of)
        # Back along the path: each column takes the row of the one before it.
        while column != -1:
            previous = before[column]
            row_of[column] = row if previous == -1 else row_of[previous]
            column = previous
    columns = [-1] * n_rows
    for column, owner in enumerate(row_of):
        if owner is not None:
            columns[owner] = column
    return torch.tensor(columns, dtype=torch.int64)


def _shortest_path(
    start: int,
    costs: list[list[float]],
    row_price: list[float],
    column_price: list[float],
    row_of: list[int | None],
) -> tuple[int, list[int]]:
    """Dijkstra's over reduced costs, from a row without a column to a column without a row; it updates the prices.

    Returns that column and, for each column, the one before it on the path (-1: the path begins there).
    """
    n_columns = len(column_price)
    distance, before, done = [math.inf] * n_columns, [-1] * n_columns, [False] * n_columns
    row, reached, length = start, -1, 0.0
    while True:
        for column in range(n_columns):
            if not done[column]:
                longer = length + costs[row][column] - row_price[row] - column_price[column]
                if longer < distance[column]:
                    distance[column], before[column] = longer, reached
        reached = min((c for c in range(n_columns) if not done[c]), key=distance.__getitem__)
        done[reached], length = True, distance[reached]
        owner = row_of[reached]
        if owner is None:
            break
        row = owner
    row_price[start] += length
    for column in range(n_columns):
        owner = row_of[column]
        if done[column] and column != reached:
            column_price[column] -= length - distance[column]
            if owner is not None:
                row_price[owner] += length - distance[column]
    return reached, before
