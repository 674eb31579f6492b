"""Indexes of chunks in memory: `index_cache` keeps them, `live_index` is one, made of `segments`.

- `analysis` and `ngrams`: the terms and n-grams of a text. `postings` and `bitmaps`: their storage, in flat arrays.
- `view`: an index as one search sees it. `scoring` gives every chunk its score, `selection` finds the best.
- `segment_files`: segments below the data directory. `collection_index`: the query and the result of a search.

Guarantees:

- A search ranks a collection as it is when the search begins: every change that was committed before is in the index.
- Neither building nor ranking runs on the event loop. It reads rows in slices and yields to other calls between them.
- Scores depend on the collection alone: no other collection, team or earlier state of the same collection affects them.
- When a search ranks, a document is in the index completely, in one version, or not at all.

Invariants:

- The rows of the tables `chunks` and `indexed_documents` are the truth. An index is derived from them and is never
  committed or rolled back: an index, or a file of it, that may be wrong is discarded.
- Each indexing of a document gives its `DocumentVersion` a new number, and numbers only increase. So the index
  recognises stale versions by comparing numbers.
- Equal scores are ordered by the numbers of versions and then by ordinals, so an index that was updated many times
  ranks like one that was built at once.
- Segments and views never change. One thread alone changes indexes; the event loop only does the bookkeeping in
  `_Entry`.

Rationale: ranking a hundred thousand chunks takes milliseconds, too long for the event loop; and an index in the
database of the rows would make every commit slower. A change only marks documents (`Indexes.on_publish` and
`on_remove`). A change that is rolled back marks them too: the next search compares versions, and finds no difference.
"""
