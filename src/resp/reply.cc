#include "resp/reply.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "resp/number.h"

namespace varve::resp {
namespace {

constexpr size_t kCapacityMin = 1024;
constexpr size_t kCapacityKept = 64 * 1024;
constexpr size_t kHeaderBytesMax = 1 + kIntegerBytesMax + 2;

char* LineEnd(char* out) {
  out[0] = '\r';
  out[1] = '\n';
  return out + 2;
}

}  // namespace

void ReplyBuffer::Grow(size_t size) {
  const size_t capacity = std::max({kCapacityMin, 2 * capacity_, size_ + size});
  auto grown = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ != 0) std::memcpy(grown.get(), data_.get(), size_);
  data_ = std::move(grown);
  capacity_ = capacity;
}

void ReplyBuffer::Header(char type, uint64_t count) {
  char* const begin = Room(kHeaderBytesMax);
  *begin = type;
  size_ += static_cast<size_t>(LineEnd(FormatUnsigned(begin + 1, count)) - begin);
}

void ReplyBuffer::SimpleString(std::string_view text) {
  Raw("+");
  Raw(text);
  Raw("\r\n");
}

void ReplyBuffer::Error(std::string_view text) {
  Raw("-");
  const size_t begin = size_;
  Raw(text);
  std::replace_if(
      data_.get() + begin, data_.get() + size_, [](char c) { return c == '\r' || c == '\n'; }, ' ');
  Raw("\r\n");
}

void ReplyBuffer::Integer(int64_t value) {
  char* const begin = Room(kHeaderBytesMax);
  *begin = ':';
  size_ += static_cast<size_t>(LineEnd(FormatInteger(begin + 1, value)) - begin);
}

void ReplyBuffer::Bool(bool value) {
  if (protocol_ == 3) {
    Raw(value ? "#t\r\n" : "#f\r\n");
  } else {
    Integer(value ? 1 : 0);
  }
}

void ReplyBuffer::Double(double value) {
  const std::string text =
      std::isinf(value) ? (value > 0 ? "inf" : "-inf") : fmt::format("{}", value);
  if (protocol_ == 3) {
    Raw(",");
    Raw(text);
    Raw("\r\n");
  } else {
    Bulk(text);
  }
}

void ReplyBuffer::BigNumber(std::string_view digits) {
  if (protocol_ == 3) {
    Raw("(");
    Raw(digits);
    Raw("\r\n");
  } else {
    Bulk(digits);
  }
}

void ReplyBuffer::Bulk(std::string_view bytes) {
  char* const begin = Room(kHeaderBytesMax + bytes.size() + 2);
  *begin = '$';
  char* out = LineEnd(FormatUnsigned(begin + 1, bytes.size()));
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  out = LineEnd(out + bytes.size());
  size_ += static_cast<size_t>(out - begin);
}

void ReplyBuffer::Bulk(std::string_view bytes, const std::shared_ptr<const std::string>& owner) {
  if (owner == nullptr || bytes.size() < kSharedBytes) {
    Bulk(bytes);
    return;
  }
  Header('$', bytes.size());
  shared_.push_back({size_, bytes, owner});
  shared_bytes_ += bytes.size();
  Raw("\r\n");
}

void ReplyBuffer::RawShared(std::shared_ptr<const std::string> bytes) {
  if (bytes->size() < kSharedBytes) {
    Raw(*bytes);
    return;
  }
  const std::string_view view = *bytes;
  shared_.push_back({size_, view, std::move(bytes)});
  shared_bytes_ += view.size();
}

void ReplyBuffer::Verbatim(std::string_view format, std::string_view text) {
  if (protocol_ != 3) {
    Bulk(text);
    return;
  }
  Header('=', format.size() + 1 + text.size());
  Raw(format);
  Raw(":");
  Raw(text);
  Raw("\r\n");
}

void ReplyBuffer::Map(size_t pair_count) {
  if (protocol_ == 3) {
    Header('%', pair_count);
  } else {
    Header('*', 2 * pair_count);
  }
}

void ReplyBuffer::TruncateTo(const Mark& mark) {
  size_ = mark.bytes;
  shared_.resize(mark.shared_count);
  shared_bytes_ = mark.shared_bytes;
}

void ReplyBuffer::AppendPieces(std::vector<std::string_view>& pieces) const {
  size_t done = 0;
  for (const Shared& shared : shared_) {
    if (shared.offset != done) pieces.emplace_back(data_.get() + done, shared.offset - done);
    pieces.push_back(shared.bytes);
    done = shared.offset;
  }
  if (size_ != done) pieces.emplace_back(data_.get() + done, size_ - done);
}

std::string ReplyBuffer::ToString() const {
  std::vector<std::string_view> pieces;
  AppendPieces(pieces);
  std::string whole;
  whole.reserve(size());
  for (const std::string_view piece : pieces) whole += piece;
  return whole;
}

void ReplyBuffer::Clear() {
  size_ = 0;
  shared_.clear();
  shared_bytes_ = 0;
  if (capacity_ > kCapacityKept) {
    data_.reset();
    capacity_ = 0;
  }
}

}  // namespace varve::resp
