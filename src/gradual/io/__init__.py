"""Kedro datasets: the artifacts that pipelines read and write; every save is atomic."""

from gradual.io.arrivals import ArrivalsDataset
from gradual.io.bundle import BundleDataset, FirstBundleDataset
from gradual.io.checkpoint_store import BundleStoreDataset, CheckpointStoreDataset
from gradual.io.corpus import CorpusDataset
from gradual.io.html import HTMLDataset
from gradual.io.json import JSONDataset
from gradual.io.kept_rows import KeptRowsDataset
from gradual.io.parquet import ParquetDataset
from gradual.io.plotly import PlotlyDataset
from gradual.io.retraining import ContractDataset, HistoryDataset
from gradual.io.rows import RowsDataset
from gradual.io.source import SourceDataset
from gradual.io.vocabulary import VocabularyDataset

__all__ = [
    "ArrivalsDataset",
    "BundleDataset",
    "BundleStoreDataset",
    "CheckpointStoreDataset",
    "ContractDataset",
    "CorpusDataset",
    "FirstBundleDataset",
    "HTMLDataset",
    "HistoryDataset",
    "JSONDataset",
    "KeptRowsDataset",
    "ParquetDataset",
    "PlotlyDataset",
    "RowsDataset",
    "SourceDataset",
    "VocabularyDataset",
]
