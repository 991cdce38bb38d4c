#include "commands/scan.h"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "commands/glob.h"
#include "commands/text.h"
#include "resp/number.h"

namespace varve::commands {
namespace {

constexpr engine::ScanToken kTokenEnd = engine::ScanToken{1} << 48;
constexpr size_t kScanCount = 10;       // COUNT's default
constexpr size_t kKeysPageCount = 512;  // keys that KEYS looks at per hold of the lock

// A cursor as strtoul() takes it, since Redis does: a sign may lead, and nothing at all is 0.
std::optional<uint64_t> ParseCursor(std::string_view text) {
  if (text.empty()) return 0;
  const bool negative = text[0] == '-';
  if (negative || text[0] == '+') text.remove_prefix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return negative ? 0 - value : value;
}

struct ScanOptions {
  std::optional<std::string_view> pattern;
  size_t count = kScanCount;
  bool any_type = true;  // false: TYPE names one that no key has
};

// Null, or the error to reply.
const std::string_view* ParseScanOptions(const Call& call, ScanOptions& options) {
  for (size_t index = 2; index < call.size(); index += 2) {
    if (index + 1 == call.size()) return &kSyntaxError;
    const std::string_view value = call[index + 1];
    if (EqualsIgnoringCase(call[index], "count")) {
      const std::optional<int64_t> count = resp::ParseInteger(value);
      if (!count) return &kNotAnInteger;
      if (*count < 1) return &kSyntaxError;
      options.count = static_cast<size_t>(*count);
    } else if (EqualsIgnoringCase(call[index], "match")) {
      options.pattern = value;
    } else if (EqualsIgnoringCase(call[index], "type")) {
      options.any_type = EqualsIgnoringCase(value, "string");
    } else {
      return &kSyntaxError;
    }
  }
  return nullptr;
}

void ReplyWithPage(Call& call, const engine::ScanPage& page, const ScanOptions& options) {
  std::vector<std::string_view> keys;
  for (const std::string& key : page.keys) {
    if (!options.any_type) break;
    if (!options.pattern || GlobMatch(*options.pattern, key)) keys.push_back(key);
  }
  call.reply.Array(2);
  call.reply.Bulk(fmt::to_string(page.next));
  call.reply.Array(keys.size());
  for (const std::string_view key : keys) call.reply.Bulk(key);
}

// What KEYS has found so far, already in the protocol's form.
class KeysProgress : public Progress {
 public:
  void Take(const engine::ScanPage& page, std::string_view pattern) {
    for (const std::string& key : page.keys) {
      if (GlobMatch(pattern, key)) {
        fmt::format_to(std::back_inserter(body_), "${}\r\n", key.size());
        body_ += key;
        body_ += "\r\n";
        ++count_;
      }
    }
    next_ = page.next;
  }
  void ReplyTo(resp::ReplyBuffer& reply) {
    reply.Array(count_);
    reply.RawShared(std::make_shared<const std::string>(std::move(body_)));
  }
  engine::ScanToken next() const { return next_; }

 private:
  engine::ScanToken next_ = 0;
  size_t count_ = 0;
  std::string body_;
};

}  // namespace

Run Scan(Call& call) {
  const std::optional<uint64_t> cursor = ParseCursor(call[1]);
  if (!cursor) {
    call.reply.Error("ERR invalid cursor");
    return Run::kDone;
  }
  ScanOptions options;
  if (const std::string_view* error = ParseScanOptions(call, options); error != nullptr) {
    call.reply.Error(*error);
    return Run::kDone;
  }
  if (*cursor >= kTokenEnd) {  // none that we gave: behind the last key
    ReplyWithPage(call, {}, options);
    return Run::kDone;
  }
  const std::optional<engine::ScanPage> page =
      call.guard.Scan(call.client.db, *cursor, options.count);
  if (page) ReplyWithPage(call, *page, options);
  return Run::kDone;
}

Run KeysMatching(Call& call) {
  const std::string_view pattern = call[1];
  if (!HasGlob(pattern)) {  // at most one key: no need to walk
    const bool present = call.guard.Contains(call.client.db, pattern) == engine::Presence::kPresent;
    call.reply.Array(present ? 1 : 0);
    if (present) call.reply.Bulk(pattern);
    return Run::kDone;
  }
  std::unique_ptr<Progress>& kept = call.client.continuation.progress;
  if (kept == nullptr) kept = std::make_unique<KeysProgress>();
  auto& progress = static_cast<KeysProgress&>(*kept);
  const std::optional<engine::ScanPage> page =
      call.guard.Scan(call.client.db, progress.next(), kKeysPageCount);
  if (!page) return Run::kDone;
  progress.Take(*page, pattern);
  if (progress.next() != 0) return Run::kYield;
  progress.ReplyTo(call.reply);
  return Run::kDone;
}

}  // namespace varve::commands
