"""The report: what runs have found, as one page for people who open neither MLflow nor kedro-viz.

`section` holds the record that a sweep leaves for the page, `sweeps` and `claims` write it, from the tables of a run or
from tracked runs alike, and `page` turns records into HTML.
"""
