#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// zstd, with or without a dictionary: what a table's blocks have in common, so that a block of a
// few rows need not say it again.
namespace varve::engine {

// More is no dictionary of ours. It stays in memory while the table's index does.
inline constexpr size_t kDictionaryBytesMax = 256 << 10;

// A dictionary, digested for decompression.
// Threads: any; it never changes.
class Dictionary {
 public:
  // Null: the bytes are no dictionary.
  static std::unique_ptr<const Dictionary> Decode(std::string_view bytes);
  ~Dictionary();

  size_t memory_bytes() const;

 private:
  friend bool ZstdUncompress(std::string_view, std::span<char>, const Dictionary*);
  struct Digest;
  explicit Dictionary(std::unique_ptr<const Digest> digest);
  const std::unique_ptr<const Digest> digest_;
};

// How many bytes the one frame that `compressed` is says it was made of; nothing: it is none.
std::optional<size_t> ZstdSize(std::string_view compressed);
// Fills `out`, which has ZstdSize() bytes. False: the frame is damaged. `dictionary`: the one it
// was made with, or null. Takes no memory but one context of 100 KiB for each thread that calls it.
bool ZstdUncompress(std::string_view compressed, std::span<char> out, const Dictionary* dictionary);

// A dictionary of at most `bytes_max` bytes: `content`, which blocks may refer to, and how often
// what occurs in blocks, as `samples` say, one behind the other. Empty when they are too few or too
// much alike. Takes 2 ms for 300 KiB.
std::string MakeDictionary(std::string_view content, std::string_view samples,
                           const std::vector<size_t>& sample_sizes, int level, size_t bytes_max);

// Threads: one at a time. Keeps a context of up to a few MiB for use again.
class ZstdCompressor {
 public:
  // `dictionary`: of MakeDictionary(), or empty for none. Copies it.
  ZstdCompressor(int level, std::string_view dictionary);
  ~ZstdCompressor();
  ZstdCompressor(ZstdCompressor&&) noexcept;
  ZstdCompressor& operator=(ZstdCompressor&&) noexcept;

  static size_t SizeMax(size_t bytes);  // of what `bytes` bytes are compressed to
  // Returns the size. `out` has room for SizeMax() bytes.
  size_t Compress(std::string_view bytes, char* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace varve::engine
