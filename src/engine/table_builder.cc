#include "engine/table_builder.h"

#include <array>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/block.h"
#include "engine/block_builder.h"
#include "engine/checksum.h"
#include "engine/filter.h"
#include "engine/key_set.h"
#include "engine/table_format.h"
#include "engine/table_index.h"

namespace varve::engine {
namespace {

constexpr size_t kWriteBytes = 256 << 10;    // what one write(2) takes at least
constexpr size_t kWritebackBytes = 1 << 20;  // dirty bytes before the kernel is told to write
constexpr size_t kVerifyReadBytes = 512 << 10;

// Of all rows, whatever the blocks they came in: what is read back must be what was added.
class RowDigest {
 public:
  // `bytes`: key and value, side by side.
  void Add(Position position, bool is_tombstone, std::string_view bytes) {
    sum_ += Checksum(bytes, position + (is_tombstone ? 1 : 0));
    ++count_;
  }
  bool operator==(const RowDigest&) const = default;

 private:
  uint64_t sum_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

struct TableBuilder::State {
  FileSystem* files;
  std::string directory;
  std::string path;
  Settings settings;
  std::unique_ptr<WritableFile> file;
  bool finished = false;
  Result<void> status = {};  // the first error

  TableProperties properties = {};
  RowDigest digest = {};
  BlockBuilder block = {};
  TableIndexBuilder index = {};
  std::vector<Position> positions = {};

  std::string pending = {};  // not written yet, begins at `written`
  uint64_t written = 0;
  uint64_t writeback_begin = 0;  // before it, the kernel was told to write
  std::shared_ptr<const KeySet> key_set = {};

  ~State() {
    file.reset();
    // What is left behind if this fails is an orphan, which the next start removes.
    if (!finished) std::ignore = files->Remove(path);
  }

  uint64_t file_bytes() const { return written + pending.size(); }
  BlockPlace NextPlace() const { return {path, properties.info.number, file_bytes()}; }

  Result<void> WritePending(std::string_view more) {
    const std::array<std::string_view, 2> pieces = {pending, more};
    TRY(file->WriteAt(written, pieces));
    written += pending.size() + more.size();
    pending.clear();
    if (written - writeback_begin >= kWritebackBytes) {
      file->StartWriteback(writeback_begin, written - writeback_begin);
      writeback_begin = written;
    }
    return {};
  }

  Result<void> Append(std::string_view bytes) {
    if (pending.size() + bytes.size() >= kWriteBytes) return WritePending(bytes);
    pending.append(bytes);
    return {};
  }

  Result<void> CutBlock() {
    index.Add(block.first_position(), file_bytes());
    return Append(block.Seal(NextPlace()));
  }

  Result<void> AddRow(const Row& row) {
    TableInfo& info = properties.info;
    // Rows of one position stay together, so that a lookup reads one block, always.
    if (!block.empty() && row.position != block.last_position() &&
        block.size() + RowBytesMax(row.key, row.value) > settings.block_bytes) {
      TRY(CutBlock());
    }
    if (info.row_count == 0) info.smallest = row.position;
    info.largest = row.position;
    ++info.row_count;
    info.tombstone_count += row.is_tombstone ? 1 : 0;
    const std::string_view stored = block.Add(row);
    const std::string_view value = row.is_tombstone ? std::string_view() : row.value;
    const size_t row_bytes = row.key.size() + value.size();
    info.row_bytes += row_bytes;
    digest.Add(row.position, row.is_tombstone, stored.substr(stored.size() - row_bytes));
    if (settings.filter_bits_per_key > 0) positions.push_back(row.position);
    return {};
  }

  // A block that is stored plain; `payload` is empty afterwards.
  Result<BlockHandle> AppendMetaBlock(std::string payload) {
    const BlockHandle handle{file_bytes(), payload.size()};
    payload.resize(handle.size + kBlockTrailerBytes);
    SealBlock(payload.data(), handle.size, Compression::kNone, NextPlace());
    TRY(Append(payload));
    return handle;
  }

  Result<void> WriteRest() {
    TRY(CutBlock());
    TableFooter footer;
    footer.table_number = properties.info.number;
    footer.filter.offset = file_bytes();
    const uint64_t data_bytes = file_bytes();
    if (!positions.empty()) {
      TRY_ASSIGN(footer.filter,
                 AppendMetaBlock(Filter::Build(positions, settings.filter_bits_per_key)));
      positions = std::vector<Position>();
    }
    properties.has_filter = footer.has_filter();
    properties.block_count = index.block_count();
    TRY_ASSIGN(footer.index, AppendMetaBlock(index.Finish(data_bytes)));
    TRY_ASSIGN(footer.properties, AppendMetaBlock(EncodeProperties(properties)));
    TRY(WritePending(EncodeFooter(footer)));
    properties.info.file_bytes = written;
    return file->Sync();
  }

  // Reads the file as a reader would. It stays in the page cache, unlike what compaction reads: it
  // takes the place of its inputs, and the next reads may be for its rows.
  Result<void> Verify(const PositionSecret& secret) {
    const TableInfo& info = properties.info;
    TRY_ASSIGN(const std::shared_ptr<const Table> table, Table::Open(files, directory, info));
    TableCursor cursor(table, &secret, kVerifyReadBytes, false);
    std::shared_ptr<const TableIndex> filter;
    RowDigest read_back;
    uint64_t tombstone_count = 0;
    KeySetBuilder keys(info.range, settings.with_key_set ? info.row_count : 0);
    cursor.Seek(0);
    for (; cursor.Valid(); cursor.Next()) {
      const Row& row = cursor.row();
      if (filter == nullptr) filter = table->index();  // the cursor has loaded it
      if (!filter->MayContain(row.position)) {
        return Fail(Errc::kCorruption, "{}: read back: filter lacks {:016x}", path, row.position);
      }
      tombstone_count += row.is_tombstone ? 1 : 0;
      if (settings.with_key_set) keys.Add(row.position, row.key, row.is_tombstone);
      read_back.Add(row.position, row.is_tombstone,
                    {row.key.data(), row.key.size() + row.value.size()});
    }
    TRY(cursor.status());
    if (read_back != digest || tombstone_count != info.tombstone_count) {
      return Fail(Errc::kCorruption, "{}: read back: not the {} rows that were written", path,
                  info.row_count);
    }
    if (settings.with_key_set) key_set = keys.Finish();
    return {};
  }
};

Result<std::unique_ptr<TableBuilder>> TableBuilder::Create(FileSystem* files,
                                                           const std::string& directory,
                                                           uint64_t number, DyadicRange range,
                                                           Settings settings) {
  const std::string path = TablePath(directory, number);
  TRY_ASSIGN(auto file, files->Create(path));
  std::unique_ptr<State> state(new State{files, directory, path, settings, std::move(file)});
  state->properties.info.number = number;
  state->properties.info.range = range;
  state->pending.reserve(kWriteBytes);
  return std::unique_ptr<TableBuilder>(new TableBuilder(std::move(state)));
}

TableBuilder::TableBuilder(std::unique_ptr<State> state) : state_(std::move(state)) {}
TableBuilder::~TableBuilder() = default;

Result<void> TableBuilder::Add(const Row& row) {
  State& state = *state_;
  INVARIANT(!state.finished && state.properties.info.range.Contains(row.position));
  INVARIANT(row_count() == 0 || row.position >= state.properties.info.largest);
  if (state.status) state.status = state.AddRow(row);
  return state.status;
}

uint64_t TableBuilder::row_count() const { return state_->properties.info.row_count; }
uint64_t TableBuilder::file_bytes() const { return state_->file_bytes(); }

Result<TableInfo> TableBuilder::Finish(const PositionSecret& secret) {
  State& state = *state_;
  INVARIANT(!state.finished && row_count() > 0);
  if (state.status) state.status = state.WriteRest();
  if (state.status) state.status = state.Verify(secret);
  TRY(state.status);
  state.finished = true;
  state.file.reset();
  return state.properties.info;
}

std::shared_ptr<const KeySet> TableBuilder::TakeKeySet() { return std::move(state_->key_set); }

}  // namespace varve::engine
