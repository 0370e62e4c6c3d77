"""The file as Arrow's reader gives it, every value as text."""

import pyarrow as pa
import pyarrow.csv

from benchmarks.jobs import Job


def open_texts(job: Job) -> pa.RecordBatchReader:
    convert = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(job.names, pa.string()),
        strings_can_be_null=True,
        quoted_strings_can_be_null=False,
        null_values=[""],
    )
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
    return pyarrow.csv.open_csv(job.source, convert_options=convert, parse_options=parse)
