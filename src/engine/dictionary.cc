#include "engine/dictionary.h"

#include <zdict.h>
#include <zstd.h>

#include "engine/coding.h"
#include "engine/invariant.h"

namespace varve::engine {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

// One for each thread: it would be costly to make for each block, and no decompression leaves
// anything in it that the next one could see.
ZSTD_DCtx* ThreadContext() {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free<ZSTD_freeDCtx>> context(ZSTD_createDCtx());
  INVARIANT(context != nullptr);
  return context.get();
}

}  // namespace

// ---- Decompression

struct Dictionary::Digest {
  const std::unique_ptr<ZSTD_DDict, Free<ZSTD_freeDDict>> owner;
};

Dictionary::Dictionary(std::unique_ptr<const Digest> digest) : digest_(std::move(digest)) {}
Dictionary::~Dictionary() = default;

std::unique_ptr<const Dictionary> Dictionary::Decode(std::string_view bytes) {
  // Bytes without an id would be taken for mere content, whatever they are.
  if (bytes.size() > kDictionaryBytesMax || ZDICT_getDictID(bytes.data(), bytes.size()) == 0) {
    return nullptr;
  }
  std::unique_ptr<const Digest> digest(
      new Digest{decltype(Digest::owner)(ZSTD_createDDict(bytes.data(), bytes.size()))});
  if (digest->owner == nullptr) return nullptr;
  return std::unique_ptr<const Dictionary>(new Dictionary(std::move(digest)));
}

size_t Dictionary::memory_bytes() const {
  return sizeof *this + sizeof(Digest) + ZSTD_sizeof_DDict(digest_->owner.get());
}

std::optional<size_t> ZstdSize(std::string_view compressed) {
  // The first frame is all there is, and none of the kinds that libraries still read for the sake
  // of old files.
  if (compressed.size() < sizeof(uint32_t) ||
      DecodeFixed32(compressed.data()) != ZSTD_MAGICNUMBER ||
      ZSTD_findFrameCompressedSize(compressed.data(), compressed.size()) != compressed.size()) {
    return std::nullopt;
  }
  const unsigned long long size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR) return std::nullopt;
  return size;
}

bool ZstdUncompress(std::string_view compressed, std::span<char> out,
                    const Dictionary* dictionary) {
  const ZSTD_DDict* const digest =
      dictionary == nullptr ? nullptr : dictionary->digest_->owner.get();
  return ZSTD_decompress_usingDDict(ThreadContext(), out.data(), out.size(), compressed.data(),
                                    compressed.size(), digest) == out.size();
}

// ---- Compression

std::string MakeDictionary(std::string_view content, std::string_view samples,
                           const std::vector<size_t>& sample_sizes, int level, size_t bytes_max) {
  std::string dictionary(bytes_max, '\0');
  const ZDICT_params_t parameters{.compressionLevel = level, .notificationLevel = 0, .dictID = 0};
  const size_t size = ZDICT_finalizeDictionary(
      dictionary.data(), dictionary.size(), content.data(), content.size(), samples.data(),
      sample_sizes.data(), static_cast<unsigned>(sample_sizes.size()), parameters);
  if (ZDICT_isError(size) != 0) return {};
  dictionary.resize(size);
  return dictionary;
}

struct ZstdCompressor::State {
  std::unique_ptr<ZSTD_CDict, Free<ZSTD_freeCDict>> dictionary;  // null: none
  std::unique_ptr<ZSTD_CCtx, Free<ZSTD_freeCCtx>> context;
};

ZstdCompressor::ZstdCompressor(int level, std::string_view dictionary) : state_(new State) {
  state_->context.reset(ZSTD_createCCtx());
  if (!dictionary.empty()) {
    state_->dictionary.reset(ZSTD_createCDict(dictionary.data(), dictionary.size(), level));
  }
  ZSTD_CCtx* const context = state_->context.get();
  INVARIANT(context != nullptr && dictionary.empty() == (state_->dictionary == nullptr));
  const size_t results[] = {
      ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level),
      // Which dictionary it is the table knows: four bytes saved in each block.
      ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0),
      ZSTD_CCtx_refCDict(context, state_->dictionary.get()),
  };
  for (const size_t result : results) INVARIANT(ZSTD_isError(result) == 0);
}

ZstdCompressor::~ZstdCompressor() = default;
ZstdCompressor::ZstdCompressor(ZstdCompressor&&) noexcept = default;
ZstdCompressor& ZstdCompressor::operator=(ZstdCompressor&&) noexcept = default;

size_t ZstdCompressor::SizeMax(size_t bytes) { return ZSTD_compressBound(bytes); }

size_t ZstdCompressor::Compress(std::string_view bytes, char* out) {
  const size_t size =
      ZSTD_compress2(state_->context.get(), out, SizeMax(bytes.size()), bytes.data(), bytes.size());
  INVARIANT(ZSTD_isError(size) == 0);
  return size;
}

}  // namespace varve::engine
