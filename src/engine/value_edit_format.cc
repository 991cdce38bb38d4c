// How a ValueEdit stands in the manifest.
#include "engine/coding.h"
#include "engine/value_runs.h"

namespace varve::engine {
namespace {

// How the live records of a run are written: the shortest way.
enum class LiveForm : uint8_t {
  kAll = 0,
  kBitmap = 1,    // bit o % 8 of byte o / 8 for ordinal o
  kOrdinals = 2,  // as of the dead
};

void PutOrdinals(std::string& out, const std::vector<uint32_t>& ordinals) {
  PutVarint64(out, ordinals.size());
  uint32_t least = 0;
  for (const uint32_t ordinal : ordinals) {
    PutVarint64(out, ordinal - least);
    least = ordinal + 1;
  }
}

// Nothing is reserved from a count: it may be damage, and each item takes bytes from the input.
bool GetOrdinals(std::string_view& input, std::vector<uint32_t>& ordinals) {
  uint64_t count = 0;
  if (!GetVarint64(input, count)) return false;
  for (uint64_t least = 0; count > 0; --count) {
    uint64_t ordinal = 0;
    if (!GetVarint64(input, ordinal) || ordinal >= ~uint32_t{0} - least) return false;
    ordinals.push_back(static_cast<uint32_t>(least + ordinal));
    least += ordinal + 1;
  }
  return true;
}

std::string Bitmap(const std::vector<bool>& live) {
  std::string bytes((live.size() + 7) / 8, '\0');
  for (size_t i = 0; i < live.size(); ++i) {
    if (live[i]) bytes[i / 8] = static_cast<char>(bytes[i / 8] | 1 << i % 8);
  }
  return bytes;
}

void PutLive(std::string& out, const ValueRun& run) {
  if (run.live_count == run.record_count) return out.push_back(static_cast<char>(LiveForm::kAll));
  std::vector<uint32_t> ordinals;
  for (uint32_t i = 0; i < run.record_count; ++i) {
    if (run.live[i]) ordinals.push_back(i);
  }
  std::string list;
  PutOrdinals(list, ordinals);
  const std::string bitmap = Bitmap(run.live);
  const bool is_list = list.size() < bitmap.size();
  out.push_back(static_cast<char>(is_list ? LiveForm::kOrdinals : LiveForm::kBitmap));
  out.append(is_list ? list : bitmap);
}

bool GetBitmap(std::string_view& input, ValueRun& run) {
  const size_t bytes = (size_t{run.record_count} + 7) / 8;
  if (bytes > input.size()) return false;
  run.live.resize(run.record_count);
  for (size_t i = 0; i < run.record_count; ++i) {
    run.live[i] = (static_cast<uint8_t>(input[i / 8]) >> i % 8 & 1) != 0;
    run.live_count += run.live[i] ? 1 : 0;
  }
  input.remove_prefix(bytes);
  return true;
}

bool GetLive(std::string_view& input, ValueRun& run) {
  if (input.empty()) return false;
  const auto form = static_cast<LiveForm>(input.front());
  input.remove_prefix(1);
  switch (form) {
    case LiveForm::kAll:
      run = ValueRun::AllLive(run.file, run.record_count, run.live_bytes);
      return true;
    case LiveForm::kBitmap:
      return GetBitmap(input, run);
    case LiveForm::kOrdinals: {
      std::vector<uint32_t> ordinals;
      if (!GetOrdinals(input, ordinals)) return false;
      run.live.resize(run.record_count);
      for (const uint32_t ordinal : ordinals) {
        if (ordinal >= run.record_count) return false;
        run.live[ordinal] = true;
      }
      run.live_count = static_cast<uint32_t>(ordinals.size());
      return true;
    }
  }
  return false;
}

bool GetRun(std::string_view& input, std::pair<uint64_t, ValueRun>& numbered) {
  ValueRun& run = numbered.second;
  uint64_t record_count = 0;
  if (!GetVarint64(input, numbered.first) || !GetVarint64(input, run.file) ||
      !GetVarint64(input, record_count) || !GetVarint64(input, run.live_bytes)) {
    return false;
  }
  if (record_count > kValueRunRecordsMax) return false;
  run.record_count = static_cast<uint32_t>(record_count);
  return GetLive(input, run);
}

// Reads a count, then so many items by `get`.
template <typename Item, typename Get>
bool GetList(std::string_view& input, std::vector<Item>& items, Get get) {
  uint64_t count = 0;
  if (!GetVarint64(input, count)) return false;
  for (; count > 0; --count) {
    if (!get(input, items.emplace_back())) return false;
  }
  return true;
}

}  // namespace

void PutValueEdit(std::string& out, const ValueEdit& edit) {
  PutVarint64(out, edit.files.size());
  for (const ValueFileInfo& file : edit.files) {
    for (const uint64_t number :
         {file.number, file.file_bytes, file.record_count, file.record_bytes}) {
      PutVarint64(out, number);
    }
  }
  PutVarint64(out, edit.runs.size());
  for (const auto& [number, run] : edit.runs) {
    for (const uint64_t value : {number, run.file, uint64_t{run.record_count}, run.live_bytes}) {
      PutVarint64(out, value);
    }
    PutLive(out, run);
  }
  PutVarint64(out, edit.moved.size());
  for (const ValueEdit::Move& move : edit.moved) {
    PutVarint64(out, move.run);
    PutVarint64(out, move.file);
  }
  PutVarint64(out, edit.dead.size());
  for (const ValueEdit::Dead& dead : edit.dead) {
    PutVarint64(out, dead.run);
    PutVarint64(out, dead.bytes);
    PutOrdinals(out, dead.ordinals);
  }
}

bool GetValueEdit(std::string_view& input, ValueEdit& edit) {
  const auto get_file = [](std::string_view& from, ValueFileInfo& file) {
    return GetVarint64(from, file.number) && GetVarint64(from, file.file_bytes) &&
           GetVarint64(from, file.record_count) && GetVarint64(from, file.record_bytes);
  };
  const auto get_move = [](std::string_view& from, ValueEdit::Move& move) {
    return GetVarint64(from, move.run) && GetVarint64(from, move.file);
  };
  const auto get_dead = [](std::string_view& from, ValueEdit::Dead& dead) {
    return GetVarint64(from, dead.run) && GetVarint64(from, dead.bytes) &&
           GetOrdinals(from, dead.ordinals);
  };
  return GetList(input, edit.files, get_file) && GetList(input, edit.runs, GetRun) &&
         GetList(input, edit.moved, get_move) && GetList(input, edit.dead, get_dead);
}

}  // namespace varve::engine
