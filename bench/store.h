#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

// What a workload asks of a storage engine, so that the same workloads run on each. A failure ends
// the process: a benchmark of an engine that fails is no benchmark.
namespace varve::bench {

// One thread's access to a store. Threads: one at a time.
class Session {
 public:
  virtual ~Session() = default;
  // Logged (handed to the kernel, not synced) when it returns.
  virtual void Put(std::string_view key, std::string_view value) = 0;
  virtual bool Get(std::string_view key) = 0;  // reads the value whole; false: there is none
  virtual uint64_t Scan() = 0;                 // walks everything once, returns the count of keys
};

class Store {
 public:
  virtual ~Store() = default;
  virtual std::unique_ptr<Session> NewSession() = 0;  // lifetime: within the store's
  virtual void WaitForCompaction() = 0;               // until the background has nothing more to do
  virtual void PrintStats() = 0;
};

}  // namespace varve::bench
