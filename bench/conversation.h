#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "key_choice.h"
#include "reply_tokens.h"
#include "test_row.h"

// What a connection asks, and whether the replies are what they should be.
namespace varve::bench {

// Of all connections together.
struct Findings {
  uint64_t hits = 0, misses = 0;   // keys: their row came, there is none
  uint64_t errors = 0, wrong = 0;  // error replies; replies of a wrong form, or not of their key
  std::string first_error, first_wrong;

  void Error(std::string_view text);
  void Wrong(std::string text);
};

class Conversation {
 public:
  virtual ~Conversation() = default;
  // Appends the next request to `out`; false: there is nothing more to ask.
  virtual bool Ask(std::string& out) = 0;
  // Takes the next piece of the replies; true: it was the last one of a request's.
  virtual bool Take(const ReplyToken& token) = 0;
};

// SET of each key that `keys` chooses, to the value that a Reader expects, or to a fresh one.
class Writer : public Conversation {
 public:
  Writer(KeyChoice& keys, RowValues& values, bool fresh, Findings& findings)
      : keys_(keys), values_(values), fresh_(fresh), findings_(findings) {}
  bool Ask(std::string& out) override;
  bool Take(const ReplyToken& token) override;

 private:
  KeyChoice& keys_;
  RowValues& values_;
  const bool fresh_;
  Findings& findings_;
};

// DEL of each key that `keys` chooses.
class Deleter : public Conversation {
 public:
  Deleter(KeyChoice& keys, Findings& findings) : keys_(keys), findings_(findings) {}
  bool Ask(std::string& out) override;
  bool Take(const ReplyToken& token) override;

 private:
  KeyChoice& keys_;
  Findings& findings_;
};

// GET, or MGET of `keys_per_request` keys when that is not 0; checks each value whole.
class Reader : public Conversation {
 public:
  Reader(KeyChoice& keys, RowValues& values, uint64_t keys_per_request, Findings& findings)
      : keys_(keys), values_(values), keys_per_request_(keys_per_request), findings_(findings) {}
  bool Ask(std::string& out) override;
  bool Take(const ReplyToken& token) override;

 private:
  void AskFor(uint64_t number, std::string& out);
  void TakeRow(const ReplyToken& token);

  KeyChoice& keys_;
  RowValues& values_;
  const uint64_t keys_per_request_;
  Findings& findings_;
  std::deque<uint64_t> expected_;
  uint64_t elements_left_ = 0;  // of the array whose header came
};

// One whole SCAN; checks that each key of the range comes exactly once. One request at a time.
class Scanner : public Conversation {
 public:
  Scanner(KeyRange range, uint64_t count, Findings& findings)
      : range_(range), count_(count), findings_(findings), seen_(range.count, false) {}
  bool Ask(std::string& out) override;
  bool Take(const ReplyToken& token) override;

 private:
  enum class Awaits { kPage, kCursor, kKeys, kKey };
  bool End();  // of a page
  void TakeKey(std::string_view key);

  const KeyRange range_;
  const uint64_t count_;
  Findings& findings_;
  std::vector<bool> seen_;
  uint64_t distinct_ = 0;
  Awaits awaits_ = Awaits::kPage;
  std::string cursor_ = "0";
  uint64_t keys_left_ = 0;
  bool finished_ = false;
};

}  // namespace varve::bench
