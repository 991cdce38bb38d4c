#include <algorithm>
#include <utility>

#include "engine/block.h"
#include "engine/table.h"
#include "engine/table_index.h"

namespace varve::engine {

struct TableCursor::State {
  std::shared_ptr<const Table> table;
  const PositionSecret* secret;
  size_t readahead_bytes;
  bool drop_behind;

  std::shared_ptr<const TableIndex> index = nullptr;
  size_t block = 0;             // the one that `rows` is of
  std::string_view rows = {};   // of it, those behind `row`
  size_t block_rows_bytes = 0;  // all of its rows, for messages
  bool valid = false;
  Row row = {};
  Result<void> status = {};

  std::string chunk = {};  // the file's bytes [chunk_begin, chunk_end)
  uint64_t chunk_begin = 0;
  uint64_t chunk_end = 0;
  std::string scratch = {};  // an uncompressed block
  uint64_t bytes_read = 0;

  ~State() { DropChunk(); }

  void DropChunk() {
    if (drop_behind && chunk_end > chunk_begin) {
      table->file_->DontNeed(chunk_begin, chunk_end - chunk_begin);
    }
    chunk_begin = chunk_end = 0;
  }

  // Reads `first` and as many of the blocks behind it as readahead_bytes asks for.
  Result<void> ReadChunk(size_t first) {
    DropChunk();
    const uint64_t begin = index->offset(first);
    size_t end_block = first + 1;
    while (end_block < index->block_count() && index->offset(end_block) - begin < readahead_bytes) {
      ++end_block;
    }
    const uint64_t size = index->offset(end_block) - begin;
    SizeBuffer(chunk, size);
    TRY(table->file_->ReadAt(begin, std::span(chunk.data(), size)));
    chunk_begin = begin;
    chunk_end = begin + size;
    bytes_read += size;
    const uint64_t data_end = index->offset(index->block_count());
    if (const uint64_t next = std::min<uint64_t>(readahead_bytes, data_end - chunk_end); next > 0) {
      table->file_->WillNeed(chunk_end, next);
    }
    return {};
  }

  Result<void> LoadBlock(size_t number) {
    const BlockHandle handle = index->handle(number);
    if (handle.offset < chunk_begin || handle.end() > chunk_end) TRY(ReadChunk(number));
    const std::string_view stored(chunk.data() + (handle.offset - chunk_begin),
                                  handle.size + kBlockTrailerBytes);
    TRY_ASSIGN(rows, DecodeBlock(stored, {table->path(), table->info().number, handle.offset},
                                 scratch, index->dictionary()));
    block = number;
    block_rows_bytes = rows.size();
    return {};
  }

  tl::unexpected<Error> Corrupt(std::string_view what) const {
    return Fail(Errc::kCorruption, "{}: block at {}: row that ends at byte {} of it {}",
                table->path(), index->offset(block), block_rows_bytes - rows.size(), what);
  }

  // Takes the next row off `rows`, which is not empty.
  Result<void> TakeRow() {
    const bool first_of_block = rows.size() == block_rows_bytes;
    const Row before = row;  // its views last as long as the block
    if (!ParseTableRow(rows, row)) return Corrupt("is not whole");
    row.position = secret->Of(row.key);
    if (first_of_block) {
      if (row.position != index->first_position(block))
        return Corrupt("is not what the index says");
    } else if (!RowLess(before.position, before.key, row.position, row.key)) {
      return Corrupt("is out of order");
    }
    const bool last_block = block + 1 == index->block_count();
    if (last_block ? row.position > index->largest()
                   : row.position >= index->first_position(block + 1)) {
      return Corrupt("lies beyond its block");
    }
    return {};
  }

  void Advance() {
    valid = false;
    if (rows.empty()) {
      if (block + 1 == index->block_count()) return;
      if (status = LoadBlock(block + 1); !status) return;
      if (rows.empty()) {
        status = Corrupt("is missing");
        return;
      }
    }
    status = TakeRow();
    valid = status.has_value();
  }

  Result<void> SeekBlock(Position position) {
    if (index == nullptr) {
      TRY_ASSIGN(index, table->LoadIndex());
    }
    TRY(LoadBlock(position <= index->smallest() ? 0 : index->BlockOf(position)));
    if (rows.empty()) return Corrupt("is missing");
    return TakeRow();
  }
};

TableCursor::TableCursor(std::shared_ptr<const Table> table, const PositionSecret* secret,
                         size_t readahead_bytes, bool drop_behind)
    : state_(new State{std::move(table), secret, readahead_bytes, drop_behind}) {}

TableCursor::~TableCursor() = default;
TableCursor::TableCursor(TableCursor&&) noexcept = default;

void TableCursor::Seek(Position position) {
  State& state = *state_;
  state.valid = false;
  state.status = {};
  if (position > state.table->info().largest) return;  // not even a block to read
  state.status = state.SeekBlock(position);
  state.valid = state.status.has_value();
  while (state.valid && state.row.position < position) state.Advance();
}

void TableCursor::Next() {
  INVARIANT(state_->valid);
  state_->Advance();
}

bool TableCursor::Valid() const { return state_->valid; }

const Row& TableCursor::row() const {
  INVARIANT(state_->valid);
  return state_->row;
}

const Result<void>& TableCursor::status() const { return state_->status; }
uint64_t TableCursor::bytes_read() const { return state_->bytes_read; }

}  // namespace varve::engine
