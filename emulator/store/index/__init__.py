"""Indexes of chunks in memory: `index_cache` keeps them, `live_index` is one, made of `segments`.

- `analysis` and `ngrams`: what of a text is indexed. `postings` and `bitmaps`: how it is stored, in flat arrays.
- `view`: an index as one search sees it. `scoring` gives every chunk its score, `selection` finds the best.
- `segment_files`: segments below the data directory. `collection_index`: what a search asks and is answered.

Guarantees:

- A search ranks a collection as it is when the search begins: every change that was committed before is in the index.
- Neither building nor ranking runs on the event loop. It reads rows in slices and yields to other calls between them.
- Scores depend on the collection alone: no other collection, team or earlier state of the same collection moves them.
- A document is either wholly in an index, in one version, or not at all, when a search ranks.

Invariants:

- The rows of the tables `chunks` and `indexed_documents` are the truth. An index is derived from them and is never
  committed or rolled back: it is discarded when it is not certain to be right, and so is a file of it.
- A `DocumentVersion` has a new number with every indexing of its document, and numbers only increase. So the index
  knows by comparing numbers whether what it holds of a document is stale.
- Equal scores are ordered by the numbers of versions and then by ordinals, so an index that was updated many times
  ranks like one that was built at once.
- Segments and views never change. Indexes are changed by one thread only, apart from the event loop, which does the
  bookkeeping in `_Entry`.

Why so: ranking a hundred thousand chunks takes milliseconds, which the loop cannot spare; and an index in the database
of the rows would make every commit slower. Changes only mark documents (`Indexes.on_publish` and `on_remove`). A change
that is rolled back marks them too: the next search compares versions, and finds nothing to do.
"""
