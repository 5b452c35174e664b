"""pandas, pyarrow and Dask on our session, by way of ocifs: written, read back, and refused once
on each way."""

import pytest

from ocihaul.emulator.faults import Fault

from .conftest import Official
from .programs import assert_no_secret, with_ocihaul

BEGIN = """
import sys
import ocihaul, ocifs, pandas
from ocihaul.integrations import oci_sdk
def storage(session):
    return {"config": {}, "signer": oci_sdk.signer(session),
        "config_kwargs": {"service_endpoint": sys.argv[1]}}
frame = pandas.DataFrame({"n": range(900_000), "word": [f"word {n % 7}" for n in range(900_000)]})
session = ocihaul.Session.from_profile()
"""

PANDAS_CSV = """
with session:
    frame.to_csv("oci://backups@ns1/table.csv", storage_options=storage(session), index=False)
    back = pandas.read_csv("oci://backups@ns1/table.csv", storage_options=storage(session))
"""

PANDAS_PARQUET = """
with session:
    frame.to_parquet("oci://backups@ns1/table", storage_options=storage(session))
    back = pandas.read_parquet("oci://backups@ns1/table", storage_options=storage(session))
"""

PYARROW = """
import pyarrow, pyarrow.dataset
table = pyarrow.Table.from_pandas(frame)
with session:
    files = ocifs.OCIFileSystem(**storage(session))
    how = {"filesystem": files, "format": "parquet", "partitioning": ["word"]}
    pyarrow.dataset.write_dataset(table, "backups@ns1/table", **how)
    assert len(files.ls("backups@ns1/table")) == 7
    back = pyarrow.dataset.dataset("backups@ns1/table", **how).to_table().to_pandas()
back = back.sort_values("n", ignore_index=True)[["n", "word"]]
"""

DASK = """
import dask.dataframe
with session:
    given = dask.dataframe.from_pandas(frame, npartitions=4)
    given.to_parquet("oci://backups@ns1/table", storage_options=storage(session))
    read = dask.dataframe.read_parquet("oci://backups@ns1/table", storage_options=storage(session))
    back = read.compute()
"""

END = """
pandas.testing.assert_frame_equal(frame, back, check_dtype=False)
print(len(back))
"""


@pytest.mark.parametrize(
    ("code", "write"),
    [
        pytest.param(PANDAS_CSV, "UploadPart", id="pandas-csv"),
        pytest.param(PANDAS_PARQUET, "PutObject", id="pandas-parquet"),
        pytest.param(PYARROW, "PutObject", id="pyarrow"),
        pytest.param(DASK, "PutObject", id="dask"),
    ],
)
def test_a_table_is_written_and_read_back_through_401s(
    official: Official, code: str, write: str
) -> None:
    for operation in (write, "GetObject"):
        official.oci.faults.add(Fault(operation=operation, status=401, code="NotAuthenticated"))
    done = with_ocihaul(official).script(BEGIN + code + END, official.oci.endpoint)
    assert_no_secret(official, done.stdout + done.stderr)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b"900000\n"
    official.oci.faults.assert_all_fired()
    assert official.oci.auth.refreshes == 2
