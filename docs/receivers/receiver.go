// A receiver with net/http: go get github.com/standard-webhooks/standard-webhooks/libraries/go
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"sync"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func main() {
	webhook, err := standardwebhooks.NewWebhook(os.Getenv("POLLHOOK_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	var seen sync.Map // in earnest: a unique column in your database
	http.HandleFunc("POST /hooks/pollhook", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 512*1024)) // the raw bytes are what is signed
		if err != nil {
			http.Error(w, "", http.StatusRequestEntityTooLarge)
			return
		}
		if err := webhook.Verify(body, r.Header); err != nil {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		var event struct{ Type string }
		_ = json.Unmarshal(body, &event)
		if _, known := seen.LoadOrStore(r.Header.Get("webhook-id"), true); !known { // delivery is at least once
			log.Println(event.Type) // hand slow work to a queue and answer at once
		}
		w.WriteHeader(http.StatusNoContent)
	})
	port := os.Getenv("PORT")
	if port == "" {
		port = "9000"
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
