#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "engine/env.h"
#include "engine/error.h"

// What varve-check does: reads a whole database and says what is damaged, and cuts a damaged log
// where somebody has decided to live with the loss.
namespace varve::check {

// Called with one line of text for each thing that was looked at.
using Report = std::function<void(std::string_view line)>;

struct Findings {
  uint64_t tables = 0;
  uint64_t value_files = 0;
  uint64_t rows = 0;
  uint64_t wal_records = 0;
  uint64_t damaged = 0;  // files
};

// Reads manifest, tables, separated values and log as the engine would at its start and in all its
// reads after that; changes nothing. Blocks: reads every byte. Errors: the directory cannot be
// read, or is in use.
engine::Result<Findings> CheckDatabase(const engine::Env& env, const std::string& directory,
                                       const Report& report);

// Ends the log at its first record that is damaged or missing, so that the database can be opened.
// What was written after that record is lost; the files are kept as they were under names that end
// in ".damaged". Does nothing to a log that is whole. Errors: kCorruption if the manifest is
// damaged (the log cannot be understood then); kIo.
engine::Result<void> CutLog(const engine::Env& env, const std::string& directory,
                            const Report& report);

}  // namespace varve::check
