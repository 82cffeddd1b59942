"""Test items out of a training set, and near duplicates within it."""
