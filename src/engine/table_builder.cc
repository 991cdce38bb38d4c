#include "engine/table_builder.h"

#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/block.h"
#include "engine/block_builder.h"
#include "engine/block_compressor.h"
#include "engine/checksum.h"
#include "engine/dictionary_sample.h"
#include "engine/file_appender.h"
#include "engine/filter.h"
#include "engine/key_set.h"
#include "engine/table_format.h"
#include "engine/table_index.h"
#include "engine/table_references.h"

namespace varve::engine {
namespace {

// What a reference counts for among the bytes of rows, in place of a value.
constexpr size_t kReferenceRowBytes = 16;
constexpr size_t kVerifyReadBytes = 512 << 10;

// Of all rows, whatever the blocks they came in: what is read back must be what was added.
class RowDigest {
 public:
  // `bytes`: key and value of `row`, side by side.
  void Add(const Row& row, std::string_view bytes) {
    sum_ += Checksum(bytes, row.position + (row.is_tombstone ? 1 : 0));
    if (row.reference) sum_ += Checksum(Fields(row.reference), row.position);
    ++count_;
  }
  bool operator==(const RowDigest&) const = default;

 private:
  static std::string_view Fields(const ValueReference& reference) {
    static_assert(std::has_unique_object_representations_v<ValueReference>);
    return {reinterpret_cast<const char*>(&reference), sizeof reference};
  }

  uint64_t sum_ = 0;
  uint64_t count_ = 0;
};

}  // namespace

struct TableBuilder::State {
  FileSystem* files;
  std::string directory;
  Settings settings;
  std::unique_ptr<FileAppender> file;
  bool finished = false;
  Result<void> status = {};  // the first error

  TableProperties properties = {};
  RowDigest digest = {};
  BlockBuilder block = {};
  BlockCompressor compressor = {};
  std::optional<DictionarySample> sample = {};  // until it is known how to compress
  bool has_zstd = false;
  std::string dictionary = {};
  TableIndexBuilder index = {};
  TableReferencesBuilder references = {};
  std::vector<Position> positions = {};

  std::shared_ptr<const KeySet> key_set = {};

  const std::string& path() const { return file->path(); }
  uint64_t file_bytes() const { return file->offset(); }
  BlockPlace NextPlace() const { return {path(), properties.info.number, file_bytes()}; }

  Result<void> CutBlock() {
    if (sample) {
      sample->Add(block.first_position(), block.Take());
      return sample->full() ? EndSample(false) : Result<void>();
    }
    index.Add(block.first_position(), file_bytes());
    return file->Append(block.Seal(compressor, NextPlace()));
  }

  // Finds out how to compress, and writes the blocks that were kept back for it.
  Result<void> EndSample(bool is_whole_table) {
    DictionarySample::Choice choice = sample->Choose(settings.zstd_level, is_whole_table);
    has_zstd = choice.is_zstd;
    dictionary = std::move(choice.dictionary);
    if (has_zstd) compressor = BlockCompressor(settings.zstd_level, dictionary);
    for (DictionarySample::Block& kept : sample->blocks()) {
      index.Add(kept.first_position, file_bytes());
      TRY(file->Append(compressor.Seal(kept.rows, kept.rows.size(), NextPlace())));
    }
    sample.reset();
    return {};
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
    info.row_bytes += row_bytes + (row.reference ? kReferenceRowBytes : 0);
    digest.Add(row, stored.substr(stored.size() - row_bytes));
    if (row.reference) {
      ++info.value_count;
      info.value_bytes += row.reference.record_bytes;
      references.Add(row.position, row.reference);
    }
    if (settings.filter_bits_per_key > 0) positions.push_back(row.position);
    return {};
  }

  // A block that is stored plain; `payload` is empty afterwards.
  Result<BlockHandle> AppendMetaBlock(std::string payload) {
    const BlockHandle handle{file_bytes(), payload.size()};
    payload.resize(handle.size + kBlockTrailerBytes);
    SealBlock(payload.data(), handle.size, Compression::kNone, NextPlace());
    TRY(file->Append(payload));
    return handle;
  }

  Result<void> WriteRest() {
    TRY(CutBlock());
    if (sample) TRY(EndSample(true));
    TableFooter footer;
    footer.may_have_zstd = has_zstd;
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
    TRY_ASSIGN(footer.index, AppendMetaBlock(index.Finish(data_bytes) + references.Finish()));
    if (!dictionary.empty()) {
      TRY_ASSIGN(footer.dictionary, AppendMetaBlock(std::move(dictionary)));
    }
    TRY_ASSIGN(footer.properties, AppendMetaBlock(EncodeProperties(properties)));
    TRY(file->Append(EncodeFooter(footer)));
    properties.info.file_bytes = file_bytes();
    return file->Sync();
  }

  // Reads the file as a reader would. It stays in the page cache, unlike what compaction reads: it
  // takes the place of its inputs, and the next reads may be for its rows.
  Result<void> Verify(const PositionSecret& secret) {
    const TableInfo& info = properties.info;
    TRY_ASSIGN(const std::shared_ptr<const Table> table, Table::Open(files, directory, info));
    TableCursor cursor(table, &secret, kVerifyReadBytes, false);
    std::shared_ptr<const TableIndex> index_read;
    RowDigest read_back;
    uint64_t tombstone_count = 0;
    KeySetBuilder keys(info.range, settings.with_key_set ? info.row_count : 0);
    cursor.Seek(0);
    for (; cursor.Valid(); cursor.Next()) {
      const Row& row = cursor.row();
      if (index_read == nullptr) index_read = table->index();  // the cursor has loaded it
      if (row.reference && !index_read->references().Contains(row.position, row.reference)) {
        return Fail(Errc::kCorruption, "{}: read back: references lack {:016x}", path(),
                    row.position);
      }
      if (!index_read->MayContain(row.position)) {
        return Fail(Errc::kCorruption, "{}: read back: filter lacks {:016x}", path(), row.position);
      }
      tombstone_count += row.is_tombstone ? 1 : 0;
      if (settings.with_key_set) keys.Add(row.position, row.key, row.is_tombstone);
      read_back.Add(row, {row.key.data(), row.key.size() + row.value.size()});
    }
    TRY(cursor.status());
    if (read_back != digest || tombstone_count != info.tombstone_count) {
      return Fail(Errc::kCorruption, "{}: read back: not the {} rows that were written", path(),
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
  TRY_ASSIGN(auto file, FileAppender::Create(files, TablePath(directory, number)));
  std::unique_ptr<State> state(new State{files, directory, settings, std::move(file)});
  state->properties.info.number = number;
  state->properties.info.range = range;
  if (settings.compression == Compression::kZstd) {
    if (settings.dictionary_bytes > 0) {
      state->sample.emplace(settings.dictionary_bytes);
    } else {
      state->has_zstd = true;
      state->compressor = BlockCompressor(settings.zstd_level, {});
    }
  }
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
uint64_t TableBuilder::file_bytes() const {
  return state_->file_bytes() + (state_->sample ? state_->sample->bytes() : 0);
}

Result<TableInfo> TableBuilder::Finish(const PositionSecret& secret) {
  State& state = *state_;
  INVARIANT(!state.finished && row_count() > 0);
  if (state.status) state.status = state.WriteRest();
  if (state.status) state.status = state.Verify(secret);
  TRY(state.status);
  state.finished = true;
  state.file->Keep();
  return state.properties.info;
}

std::shared_ptr<const KeySet> TableBuilder::TakeKeySet() { return std::move(state_->key_set); }

}  // namespace varve::engine
