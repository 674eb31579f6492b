"""Indexes of chunks in memory: `index_cache` keeps them, `collection_index` is one, of `keyword` and `vectors`.

Guarantees:

- A search ranks a collection as it is when the search begins: every change that was committed before is in the index.
- Neither building nor ranking runs on the event loop. It reads rows in slices and yields to other calls between them.
- Scores depend on the collection alone: no other collection, team or earlier state of the same collection moves them.
- A document is either wholly in an index, in one version, or not at all, when a search ranks.

Invariants:

- The rows of the tables `chunks` and `indexed_documents` are the truth. An index is derived from them and is never
  saved, committed or rolled back: it is built when its collection is first searched, and discarded when it is not
  certain to be right.
- A `DocumentVersion` has a new number with every indexing of its document, and numbers only increase. So the index
  knows by comparing numbers whether what it holds of a document is stale.
- Chunks are added in the order of the numbers of their versions. Equal scores are ordered by this, so an index that was
  updated many times ranks like one that was built at once.
- All indexes are touched by one thread only, apart from the event loop, which does the bookkeeping in `_Entry`.

Why so: ranking a hundred thousand chunks takes tens of milliseconds, which the loop cannot spare; and an index in the
database of the rows would make every commit slower and would have to be repaired after a crash. Changes only mark
documents (`Indexes.on_change`), so an upload pays nothing for an index that is not used again. A change that is rolled
back marks them too: the next search compares versions, and finds nothing to do.
"""
