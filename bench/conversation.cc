#include "conversation.h"

#include <fmt/core.h>

#include <iterator>
#include <utility>

namespace varve::bench {
namespace {

using Kind = ReplyToken::Kind;

void AppendBulk(std::string_view bytes, std::string& out) {
  fmt::format_to(std::back_inserter(out), "${}\r\n", bytes.size());
  out += bytes;
  out += "\r\n";
}

void AppendKeyBulk(uint64_t number, std::string& out) {
  static_assert(kKeyBytes == 16);
  out += "$16\r\n";
  AppendKey(number, out);
  out += "\r\n";
}

std::string Describe(const ReplyToken& token) {
  return fmt::format("kind {}, number {}, '{}'", static_cast<int>(token.kind), token.number,
                     token.text.substr(0, 100));
}

}  // namespace

void Findings::Error(std::string_view text) {
  if (errors++ == 0) first_error = text;
}

void Findings::Wrong(std::string text) {
  if (wrong++ == 0) first_wrong = std::move(text);
}

bool Writer::Ask(std::string& out) {
  const uint64_t number = keys_.Next();
  out += "*3\r\n$3\r\nSET\r\n";
  AppendKeyBulk(number, out);
  AppendBulk(fresh_ ? values_.Fresh(number) : values_.Of(number), out);
  return true;
}

bool Writer::Take(const ReplyToken& token) {
  if (token.kind == Kind::kError) {
    findings_.Error(token.text);
  } else if (token.kind == Kind::kStatus && token.text == "OK") {
    ++findings_.hits;
  } else {
    findings_.Wrong("SET: " + Describe(token));
  }
  return true;
}

bool Deleter::Ask(std::string& out) {
  out += "*2\r\n$3\r\nDEL\r\n";
  AppendKeyBulk(keys_.Next(), out);
  return true;
}

bool Deleter::Take(const ReplyToken& token) {
  if (token.kind == Kind::kError) {
    findings_.Error(token.text);
  } else if (token.kind == Kind::kInteger && (token.number == 0 || token.number == 1)) {
    ++(token.number == 1 ? findings_.hits : findings_.misses);
  } else {
    findings_.Wrong("DEL: " + Describe(token));
  }
  return true;
}

void Reader::AskFor(uint64_t number, std::string& out) {
  AppendKeyBulk(number, out);
  expected_.push_back(number);
}

bool Reader::Ask(std::string& out) {
  if (keys_per_request_ == 0) {
    out += "*2\r\n$3\r\nGET\r\n";
    AskFor(keys_.Next(), out);
    return true;
  }
  fmt::format_to(std::back_inserter(out), "*{}\r\n$4\r\nMGET\r\n", keys_per_request_ + 1);
  for (uint64_t i = 0; i < keys_per_request_; ++i) AskFor(keys_.Next(), out);
  return true;
}

bool Reader::Take(const ReplyToken& token) {
  if (elements_left_ > 0) {
    TakeRow(token);
    return --elements_left_ == 0;
  }
  if (keys_per_request_ == 0) {
    TakeRow(token);
    return true;
  }
  const auto asked = static_cast<int64_t>(keys_per_request_);
  if (token.kind == Kind::kArray && token.number == asked) {
    elements_left_ = keys_per_request_;
    return false;
  }
  if (token.kind == Kind::kError) {
    findings_.Error(token.text);
  } else {
    findings_.Wrong("MGET: " + Describe(token));
  }
  expected_.erase(expected_.begin(), expected_.begin() + asked);
  return true;
}

void Reader::TakeRow(const ReplyToken& token) {
  const uint64_t number = expected_.front();
  expected_.pop_front();
  if (token.kind == Kind::kNil) {
    ++findings_.misses;
  } else if (token.kind == Kind::kError) {
    findings_.Error(token.text);
  } else if (token.kind == Kind::kBulk && token.text == values_.Of(number)) {
    ++findings_.hits;
  } else {
    findings_.Wrong(fmt::format("key {}: {}", number, Describe(token)));
  }
}

bool Scanner::Ask(std::string& out) {
  if (finished_) return false;
  out += "*4\r\n$4\r\nSCAN\r\n";
  AppendBulk(cursor_, out);
  out += "$5\r\nCOUNT\r\n";
  AppendBulk(std::to_string(count_), out);
  return true;
}

bool Scanner::Take(const ReplyToken& token) {
  if (awaits_ == Awaits::kPage && token.kind == Kind::kArray && token.number == 2) {
    awaits_ = Awaits::kCursor;
  } else if (awaits_ == Awaits::kCursor && token.kind == Kind::kBulk) {
    cursor_ = token.text;
    awaits_ = Awaits::kKeys;
  } else if (awaits_ == Awaits::kKeys && token.kind == Kind::kArray && token.number >= 0) {
    keys_left_ = static_cast<uint64_t>(token.number);
    awaits_ = Awaits::kKey;
    return keys_left_ == 0 && End();
  } else if (awaits_ == Awaits::kKey && token.kind == Kind::kBulk) {
    TakeKey(token.text);
    return --keys_left_ == 0 && End();
  } else {  // there is no way on from here
    if (token.kind == Kind::kError) {
      findings_.Error(token.text);
    } else {
      findings_.Wrong("SCAN: " + Describe(token));
    }
    finished_ = true;
    return true;
  }
  return false;
}

void Scanner::TakeKey(std::string_view key) {
  const auto number = ParseKey(key);
  if (!number || *number < range_.first || *number - range_.first >= range_.count) {
    findings_.Wrong(fmt::format("SCAN: a key that was never set: '{}'", key.substr(0, 100)));
  } else if (seen_[*number - range_.first]) {
    findings_.Wrong(fmt::format("SCAN: '{}' came twice", key));
  } else {
    seen_[*number - range_.first] = true;
    ++distinct_;
    ++findings_.hits;
  }
}

bool Scanner::End() {
  awaits_ = Awaits::kPage;
  finished_ = cursor_ == "0";
  if (finished_ && distinct_ != range_.count) {
    findings_.misses = range_.count - distinct_;
    findings_.Wrong(fmt::format("SCAN: {} keys are missing", findings_.misses));
  }
  return true;
}

}  // namespace varve::bench
