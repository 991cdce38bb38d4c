#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "engine/invariant.h"

// Errors are values. An absent key or incomplete input is not an error; disk and format are.
namespace varve::engine {

// A code exists only where a caller branches on it.
enum class Errc {
  kIo,               // a system call failed
  kNoSpace,          // ENOSPC, EDQUOT: may succeed later
  kTooManyFiles,     // EMFILE, ENFILE: may succeed later
  kNotFound,         // the file does not exist
  kCorruption,       // bytes that we did not write, or not whole
  kInvalidArgument,  // an option or a path that cannot work
  kClosed,           // the engine is closing or has stopped taking writes
};

// A code and the context that says which file, offset or option it is about. `system_error` is the
// errno behind kIo, kNoSpace and kTooManyFiles, else 0.
struct Error {
  Errc code;
  std::string context;
  int system_error = 0;

  bool operator==(const Error&) const = default;
};

// A T or an Error; tl::expected's interface, nodiscard, and `*result` checks that there is a value.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;

  Result(T value) : expected_(std::move(value)) {}                      // NOLINT(*-explicit-*)
  Result(tl::unexpected<Error> error) : expected_(std::move(error)) {}  // NOLINT(*-explicit-*)

  bool has_value() const { return expected_.has_value(); }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    INVARIANT(has_value());
    return *expected_;
  }
  const T& value() const& {
    INVARIANT(has_value());
    return *expected_;
  }
  T&& value() && {
    INVARIANT(has_value());
    return *std::move(expected_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const {
    INVARIANT(!has_value());
    return expected_.error();
  }

 private:
  tl::expected<T, Error> expected_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;

  Result() = default;
  Result(tl::unexpected<Error> error) : expected_(std::move(error)) {}  // NOLINT(*-explicit-*)

  bool has_value() const { return expected_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    INVARIANT(!has_value());
    return expected_.error();
  }

 private:
  tl::expected<void, Error> expected_;
};

// `return Fail(Errc::kCorruption, "{}: bad magic {:x}", path, magic);`
template <typename... Args>
tl::unexpected<Error> Fail(Errc code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...), 0});
}

inline tl::unexpected<Error> Fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

// The error of a failed system call: `what` names the call and the file.
tl::unexpected<Error> FailSystem(int system_error, std::string what);

#define VARVE_CONCAT_INNER(a, b) a##b
#define VARVE_CONCAT(a, b) VARVE_CONCAT_INNER(a, b)

// Returns early with the error of `expr`; CO_TRY is for coroutines.
#define TRY(expr)                                             \
  do {                                                        \
    if (auto try_result = (expr); !try_result) [[unlikely]] { \
      return ::varve::engine::Fail(try_result.error());       \
    }                                                         \
  } while (false)
#define CO_TRY(expr)                                          \
  do {                                                        \
    if (auto try_result = (expr); !try_result) [[unlikely]] { \
      co_return ::varve::engine::Fail(try_result.error());    \
    }                                                         \
  } while (false)

// `TRY_ASSIGN(decl, expr)`: declares or assigns `decl` from the value of `expr`, or returns early.
#define TRY_ASSIGN(decl, expr) VARVE_TRY_ASSIGN(decl, expr, return, VARVE_CONCAT(try_, __LINE__))
#define CO_TRY_ASSIGN(decl, expr) \
  VARVE_TRY_ASSIGN(decl, expr, co_return, VARVE_CONCAT(try_, __LINE__))
#define VARVE_TRY_ASSIGN(decl, expr, return_keyword, result) \
  auto result = (expr);                                      \
  if (!result) [[unlikely]] {                                \
    return_keyword ::varve::engine::Fail(result.error());    \
  }                                                          \
  decl = *std::move(result)

}  // namespace varve::engine
