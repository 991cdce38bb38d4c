#include "engine/value_index.h"

#include <algorithm>
#include <utility>

#include "engine/coding.h"
#include "engine/invariant.h"

namespace varve::engine {

Result<std::unique_ptr<const ValueIndex>> ValueIndex::Load(const RandomAccessFile& file,
                                                           const ValueFileInfo& expected) {
  if (file.size() < kValueFooterBytes) {
    return Fail(Errc::kCorruption, "{}: {} bytes are no value file", file.path(), file.size());
  }
  std::string bytes(kValueFooterBytes, '\0');
  TRY(file.ReadAt(file.size() - kValueFooterBytes, bytes));
  TRY_ASSIGN(const ValueFooter footer, DecodeValueFooter(bytes, file.size(), file.path()));
  if (footer.file_number != expected.number || footer.record_count != expected.record_count ||
      footer.index.offset != expected.record_bytes) {
    return Fail(Errc::kCorruption,
                "{}: holds {} records, {} bytes, of file {}, not {}, {} bytes, of {}", file.path(),
                footer.record_count, footer.index.offset, footer.file_number, expected.record_count,
                expected.record_bytes, expected.number);
  }
  bytes.resize(footer.index.size + kBlockTrailerBytes);
  TRY(file.ReadAt(footer.index.offset, bytes));
  std::string scratch;
  TRY_ASSIGN(const std::string_view payload,
             DecodeBlock(bytes, {file.path(), footer.file_number, footer.index.offset}, scratch));
  std::unique_ptr<ValueIndex> index(new ValueIndex);
  if (!index->Decode(payload, footer.record_count, footer.index.offset)) {
    return Fail(Errc::kCorruption, "{}: index at {} does not fit the file", file.path(),
                footer.index.offset);
  }
  return std::unique_ptr<const ValueIndex>(std::move(index));
}

bool ValueIndex::Decode(std::string_view payload, uint64_t record_count, uint64_t data_bytes) {
  // The bytes that are there size the arrays: each record takes two of them.
  if (record_count > payload.size() / 2) return false;
  ordinals_.reserve(record_count);
  offsets_.reserve(record_count + 1);
  offsets_.push_back(0);
  uint64_t run_count = 0;
  if (!GetVarint64(payload, run_count)) return false;
  for (; run_count > 0; --run_count) {
    if (!DecodeRun(payload)) return false;
  }
  return payload.empty() && ordinals_.size() == record_count && offsets_.back() == data_bytes;
}

bool ValueIndex::DecodeRun(std::string_view& payload) {
  Run run{0, ordinals_.size(), 0};
  uint64_t count = 0;
  if (!GetVarint64(payload, run.number) || !GetVarint64(payload, count) || count == 0) return false;
  if (!runs_.empty() && run.number <= runs_.back().number) return false;
  uint64_t ordinal_min = 0;
  for (; count > 0; --count) {
    uint64_t ordinal = 0;
    uint64_t record_bytes = 0;
    if (!GetVarint64(payload, ordinal) || !GetVarint64(payload, record_bytes)) return false;
    if (ordinal > ~uint32_t{0} || ordinal + ordinal_min > ~uint32_t{0}) return false;
    if (record_bytes <= kBlockTrailerBytes || record_bytes > ~uint32_t{0}) return false;
    ordinals_.push_back(static_cast<uint32_t>(ordinal + ordinal_min));
    offsets_.push_back(offsets_.back() + record_bytes);
    ordinal_min += ordinal + 1;
  }
  run.end = ordinals_.size();
  runs_.push_back(run);
  return true;
}

const ValueIndex::Run* ValueIndex::FindRun(uint64_t run) const {
  const auto found =
      std::lower_bound(runs_.begin(), runs_.end(), run,
                       [](const Run& a, uint64_t number) { return a.number < number; });
  return found == runs_.end() || found->number != run ? nullptr : &*found;
}

std::optional<size_t> ValueIndex::Find(uint64_t run, uint32_t ordinal) const {
  const Run* const in = FindRun(run);
  if (in == nullptr) return std::nullopt;
  const auto begin = ordinals_.begin() + static_cast<ptrdiff_t>(in->begin);
  const auto end = ordinals_.begin() + static_cast<ptrdiff_t>(in->end);
  const auto found = std::lower_bound(begin, end, ordinal);
  if (found == end || *found != ordinal) return std::nullopt;
  return static_cast<size_t>(found - ordinals_.begin());
}

uint64_t ValueIndex::memory_bytes() const {
  return sizeof *this + runs_.capacity() * sizeof(Run) + ordinals_.capacity() * sizeof(uint32_t) +
         offsets_.capacity() * sizeof(uint64_t);
}

void ValueIndexBuilder::Add(uint64_t run, uint32_t ordinal, uint64_t record_bytes) {
  INVARIANT(record_count_ == 0 || run > run_ || (run == run_ && ordinal > last_ordinal_));
  if (run != run_) EndRun();
  PutVarint64(records_, run_records_ == 0 ? ordinal : ordinal - last_ordinal_ - 1);
  PutVarint64(records_, record_bytes);
  run_ = run;
  last_ordinal_ = ordinal;
  ++run_records_;
  ++record_count_;
}

void ValueIndexBuilder::EndRun() {
  if (run_records_ == 0) return;
  PutVarint64(runs_, run_);
  PutVarint64(runs_, run_records_);
  runs_.append(records_);
  records_.clear();
  run_records_ = 0;
  ++run_count_;
}

std::string ValueIndexBuilder::Finish() {
  EndRun();
  std::string payload;
  PutVarint64(payload, run_count_);
  payload.append(runs_);
  return payload;
}

}  // namespace varve::engine
