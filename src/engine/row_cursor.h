#pragma once

#include "engine/error.h"
#include "engine/position.h"
#include "engine/row.h"

namespace varve::engine {

// Walks rows in order of (position, key), each key once. It stands nowhere before the first Seek().
// Lifetime: row()'s views are valid until the next Seek() or Next(), or the end of the cursor.
// Threads:  one at a time. A cursor over files blocks on I/O.
// Errors:   Valid() is then false and status() says why; a walk that ends with a good status() has
//           seen everything. After an error only Seek() may be called, and may fail again.
class RowCursor {
 public:
  virtual ~RowCursor() = default;

  virtual void Seek(Position position) = 0;  // to the first row at or after it
  virtual void Next() = 0;                   // needs Valid()
  virtual bool Valid() const = 0;            // false at the end, and after an error
  virtual const Row& row() const = 0;        // needs Valid()
  virtual const Result<void>& status() const = 0;
};

}  // namespace varve::engine
